//! See `targets::http`: a daemon without apps serves in the same process.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "each target uses one of them")]
mod targets;

use std::net::SocketAddr;
use std::sync::OnceLock;

use timpush_exporter::config;
use timpush_exporter::daemon::{Daemon, Options};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    targets::http(*SERVER.get_or_init(serve), data);
});

/// Serves until the process ends.
fn serve() -> SocketAddr {
    let folder = std::env::temp_dir().join(format!("timpush-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
    let config_file = folder.join("config.yaml");
    std::fs::write(&config_file, CONFIG).expect("a temporary folder can be written");
    std::fs::write(folder.join("shop.key"), "0".repeat(64)).expect("a temporary folder can be written");
    let config = config::load(&config_file).expect("the configuration above is right");
    let options = Options {
        config_file,
        storage: folder.join("data"),
        listen: vec!["127.0.0.1:0".to_owned()],
        lifecycle: true,
        watch_api: true,
    };
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
        runtime.block_on(async move {
            let daemon = Daemon::start(options, config, None).await.expect("it starts");
            let _ = tell.send(daemon.addresses()[0]);
            let _ = daemon.run(std::future::pending()).await;
        });
    });
    told.recv().expect("it has started")
}

/// One app whose upstream is not there.
const CONFIG: &str = "
apps:
  - name: shop
    sdk_app_id: 1400000001
    endpoint: http://127.0.0.1:9
    secret_key_file: shop.key
    watch:
      static: [{task: 660cc447_537ed82a, users: [alice, bob]}]
";
