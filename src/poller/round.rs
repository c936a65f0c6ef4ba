//! The sources of one app as its feeder goes round them: files are read at once, each address is asked by a task of its own.

use tokio::task::{JoinError, JoinSet};

use crate::watch::feed::{Answered, Feed, Refreshed};

use super::clock::wall_millis;

/// Sources and the requests to them, which are cancelled with it.
pub struct Round {
    pub feed: Feed,
    /// One at most for each address.
    asked: JoinSet<Answered>,
    /// Came and are not taken over yet.
    answers: Vec<Answered>,
}

impl Round {
    pub fn new(feed: Feed) -> Round {
        Round { feed, asked: JoinSet::new(), answers: Vec::new() }
    }

    /// Begins to ask the addresses that are due, looks at the files if they are, and takes over what answers have come.
    pub async fn look(&mut self) -> Refreshed {
        let now = wall_millis();
        for question in self.feed.ask(now) {
            self.asked.spawn(question);
        }
        let refreshed = self.feed.refresh(now).await;
        refreshed.and(self.take().await)
    }

    /// Takes over what answers have come.
    pub async fn take(&mut self) -> Refreshed {
        while let Some(answered) = self.asked.try_join_next() {
            self.keep(answered);
        }
        self.feed.take(std::mem::take(&mut self.answers)).await
    }

    /// Waits until an answer has come that is not taken over; for ever if none is on its way. It may be dropped and called
    /// again.
    pub async fn answered(&mut self) {
        while self.answers.is_empty() {
            match self.asked.join_next().await {
                Some(answered) => self.keep(answered),
                None => std::future::pending().await,
            }
        }
    }

    fn keep(&mut self, answered: Result<Answered, JoinError>) {
        match answered {
            Ok(answered) => self.answers.push(answered),
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                } // Else the runtime ends, and whoever waits ends with it.
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::watch::{ClientTls, Entry, HttpSource, Sources};

    /// Reads what comes; true at the end of the stream.
    fn is_closed(stream: &TcpStream) -> bool {
        match stream.try_read(&mut [0; 1024]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    #[tokio::test]
    async fn an_address_that_is_silent_holds_up_no_look_and_is_left_when_its_app_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sources = Sources {
            entries: vec![Entry { task: "t".to_owned(), users: vec!["a".to_owned()], ..Entry::default() }],
            http: vec![HttpSource {
                url: format!("http://{}/", listener.local_addr().unwrap()),
                refresh: Duration::from_secs(60),
                basic_auth: None,
                authorization: None,
                tls: ClientTls::default(),
            }],
            ..Sources::default()
        };
        let mut round = Round::new(Feed::new(&sources, &Arc::from([])).unwrap());
        assert!(round.look().await.changed);
        let (stream, _) = listener.accept().await.unwrap();
        assert!(!round.look().await.changed && !round.feed.has_asked_all());
        assert_eq!(round.asked.len(), 1);
        drop(round);
        while !is_closed(&stream) {
            stream.readable().await.unwrap();
        }
    }
}
