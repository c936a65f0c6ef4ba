//! Tasks that run as long as the daemon, or an app, does: none of them ends unnoticed.

use std::collections::HashMap;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// Tasks by what they are.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, String>,
}

/// A task that is over and was not told to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub name: String,
    /// Why it died; `None` if it came to its own end.
    pub panic: Option<String>,
}

impl Tasks {
    /// Starts a task; `name` says what it is.
    pub fn spawn(&mut self, name: String, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let handle = self.running.spawn(task);
        self.names.insert(handle.id(), name);
        handle
    }

    /// Takes in the tasks that are over by now; gives the next of those that ended by themselves.
    pub fn next_ended(&mut self) -> Option<Ended> {
        while let Some(ended) = self.running.try_join_next_with_id() {
            if let Some(ended) = self.ended(ended) {
                return Some(ended);
            }
        }
        None
    }

    /// Waits for the end of each; gives those that died. It may be dropped and called again.
    pub async fn join_next(&mut self) -> Option<Option<Ended>> {
        let ended = self.running.join_next_with_id().await?;
        Some(self.ended(ended))
    }

    /// Ends all.
    pub async fn shutdown(&mut self) {
        self.running.shutdown().await;
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) -> Option<Ended> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        let name = self.names.remove(&id).unwrap_or_default();
        match ended {
            Ok(_) => Some(Ended { name, panic: None }),
            Err(error) if error.is_panic() => Some(Ended { name, panic: Some(error.to_string()) }),
            Err(_) => None, // Somebody ended it.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::run_blocking;

    async fn next(tasks: &mut Tasks) -> Option<Ended> {
        tasks.join_next().await.expect("a task runs")
    }

    #[tokio::test]
    async fn a_task_that_panics_is_named_and_so_is_one_that_ends() {
        let mut tasks = Tasks::default();
        tasks.spawn("dies".to_owned(), async { panic!("on purpose") });
        let died = next(&mut tasks).await.unwrap();
        assert_eq!(died.name, "dies");
        assert!(died.panic.is_some_and(|why| why.contains("on purpose")));
        tasks.spawn("ends".to_owned(), async {});
        assert_eq!(next(&mut tasks).await, Some(Ended { name: "ends".to_owned(), panic: None }));
        let stopped = tasks.spawn("is stopped".to_owned(), std::future::pending());
        stopped.abort();
        assert_eq!(next(&mut tasks).await, None);
        assert!(tasks.next_ended().is_none() && tasks.names.is_empty(), "nothing is kept of them");
    }

    #[tokio::test]
    async fn what_panics_on_a_thread_for_blocking_work_is_noticed_by_its_task() {
        let mut tasks = Tasks::default();
        tasks.spawn("waits".to_owned(), async { run_blocking(|| panic!("in the thread")).await });
        assert!(next(&mut tasks).await.is_some_and(|ended| ended.panic.is_some()));
    }
}
