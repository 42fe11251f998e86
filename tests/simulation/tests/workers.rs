//! Workers that are heard no more: a minute of the server's own time takes none of ours.

use std::time::Duration;

use stanchion_server::Config;
use stanchion_server::simulation::{Machine, MemoryStream, SimulatedServer};
use stanchion_storage::simulation::SimulatedDisk;
use tokio::runtime::Builder;

/// Sends inline commands; gives what comes back until the server has nothing more to do.
async fn ask(stream: &mut MemoryStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut reply = Vec::new();
    stream.read(&mut reply).await;
    // Time passes only when nobody has anything to do.
    tokio::time::sleep(Duration::from_millis(10)).await;
    stream.try_read(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

#[test]
fn a_worker_that_is_unheard_for_a_minute_is_forgotten_and_its_jobs_lapse() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let config = Config { shards: 4, threads: 1, ..Config::default() };
        let machine =
            Machine { disk: SimulatedDisk::new(), wall_ms: 1_700_000_000_000, seed: 1, planted: None };
        let (server, mut turns) = SimulatedServer::start(config, machine).expect("it starts");
        tokio::spawn(async move {
            while turns.due().await {
                turns.take();
            }
        });
        let mut stream = server.connect(1 << 16).expect("it serves");
        let said =
            ask(&mut stream, "QWORKER BEAT w pid 1\r\nQWORKER BEAT v pid 2\r\nQWORKER QUIET w\r\n").await;
        assert_eq!(said, "$2\r\nok\r\n$2\r\nok\r\n+OK\r\n");
        ask(&mut stream, "QPUSH q x\r\nQCLAIM q LEASE 90000 WORKER w\r\n").await;

        tokio::time::sleep(Duration::from_secs(50)).await;
        assert_eq!(ask(&mut stream, "QWORKER BEAT v\r\n").await, "$2\r\nok\r\n");
        tokio::time::sleep(Duration::from_secs(20)).await;
        let listed = ask(&mut stream, "QWORKER LIST\r\n").await;
        assert!(listed.starts_with("*1\r\n") && listed.contains("$1\r\nv\r\n"), "{listed}");
        let info = ask(&mut stream, "INFO stanchion\r\n").await;
        assert!(info.contains("\r\nworkers:1\r\n") && info.contains("\r\nworkers_lost:1\r\n"), "{info}");
        assert_eq!(ask(&mut stream, "QLEN q CLAIMED\r\n").await, ":1\r\n", "its lease holds");

        tokio::time::sleep(Duration::from_secs(20)).await;
        let claimed = ask(&mut stream, "QCLAIM q META\r\n").await;
        assert!(claimed.contains("lapsed, worker w"), "{claimed}");
        // An order goes with whom it was for.
        assert_eq!(ask(&mut stream, "QWORKER BEAT w pid 1\r\n").await, "$2\r\nok\r\n");
    });
}
