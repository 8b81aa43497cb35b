//! The textbook broadcast server in Rust: axum, a `tokio::sync::broadcast` ring for each topic, `Sse` with `KeepAlive`.
//! A row of the benchmark, not an example: it keeps no history, and whoever falls more than a ring behind loses events
//! without being told.
//!
//!     axum-peer PORT [WORKER_THREADS]
//!
//!     GET  /events/TOPIC    SSE
//!     GET  /ws/TOPIC        the same events as WebSocket text messages
//!     POST /publish/TOPIC   the body becomes one event

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, RwLock};

use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::Response;
use axum::routing::{get, post};
use axum::Router;
use futures_util::{Stream, StreamExt};
use tokio::sync::broadcast::{channel, error::RecvError, Sender};
use tokio_stream::wrappers::BroadcastStream;

const RING_EVENTS: usize = 1_024;
const READ_BUFFER_BYTES: usize = 4_096;

#[derive(Clone, Default)]
struct Topics(Arc<RwLock<HashMap<String, Sender<Utf8Bytes>>>>);

impl Topics {
    fn sender(&self, topic: &str) -> Sender<Utf8Bytes> {
        if let Some(sender) = self.0.read().unwrap().get(topic) {
            return sender.clone();
        }
        let mut topics = self.0.write().unwrap();
        topics.entry(topic.to_owned()).or_insert_with(|| channel(RING_EVENTS).0).clone()
    }
}

async fn publish(State(topics): State<Topics>, Path(topic): Path<String>, body: String) -> &'static str {
    let _ = topics.sender(&topic).send(body.into()); // an error says that nobody listens
    "ok"
}

async fn events(
    State(topics): State<Topics>,
    Path(topic): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let received = BroadcastStream::new(topics.sender(&topic).subscribe());
    let events = received.filter_map(|text| async { text.ok() }).map(|text| Ok(Event::default().data(text.as_str())));
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn socket(State(topics): State<Topics>, Path(topic): Path<String>, upgrade: WebSocketUpgrade) -> Response {
    // As axum's documentation advises for many connections: its default is 128 KiB for each.
    upgrade.read_buffer_size(READ_BUFFER_BYTES).on_upgrade(move |socket| follow(socket, topics.sender(&topic)))
}

async fn follow(mut socket: WebSocket, sender: Sender<Utf8Bytes>) {
    let mut receiver = sender.subscribe();
    loop {
        tokio::select! {
            received = receiver.recv() => match received {
                Ok(text) => if socket.send(Message::Text(text)).await.is_err() { return },
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            message = socket.recv() => if !matches!(message, Some(Ok(_))) { return },
        }
    }
}

async fn serve(port: u16) -> std::io::Result<()> {
    let app = Router::new()
        .route("/events/{topic}", get(events))
        .route("/ws/{topic}", get(socket))
        .route("/publish/{topic}", post(publish))
        .with_state(Topics::default());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, app).await
}

fn main() -> std::io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u16>().expect("a number"));
    let port = numbers.next().unwrap_or(3000);
    let workers = numbers.next().unwrap_or(1);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(workers.into()).enable_all().build()?.block_on(serve(port))
}
