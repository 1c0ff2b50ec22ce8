use super::super::metrics::Metrics;
use super::*;
use crate::server::portals::Portals;
use http::Version;
use http_body_util::BodyExt;

const IDLE: Duration = Duration::from_millis(20);

/// A guest's response of one frame, and the ends that the guest's task holds.
struct GuestResponse {
    body: GuestBody,
    outcome: oneshot::Sender<()>,
    departed: oneshot::Receiver<()>,
}

impl GuestResponse {
    fn new() -> GuestResponse {
        GuestResponse::announcing(None)
    }

    fn announcing(announced: Option<u64>) -> GuestResponse {
        let body = Full::new(Bytes::from_static(b"content")).map_err(Error::from).boxed_unsync();
        let store = portico_store::Info {
            backend: "local",
            bucket: "local".into(),
            max_object_size: 0,
            max_join_size: 0,
            summary: String::new(),
        };
        let metrics = Metrics::new(&Settings::default(), &store, &Portals::new(Vec::new()));
        let flow = Arc::new(Flow::new(metrics.into(), Arc::default(), Version::HTTP_11, None));
        let (outcome, ended) = oneshot::channel();
        let (presence, departed) = oneshot::channel();
        let settings = Settings { body_idle_timeout: IDLE, ..Settings::default() };
        let body = GuestBody::new(body, announced, flow, ended, presence, &settings);
        GuestResponse { body, outcome, departed }
    }
}

async fn frame(body: &mut GuestBody) -> Option<Result<Frame<Bytes>, Error>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

#[tokio::test]
async fn a_response_ends_when_its_guest_has_returned() {
    let GuestResponse { mut body, outcome, .. } = GuestResponse::new();
    assert_eq!(frame(&mut body).await.unwrap().unwrap().into_data().unwrap(), "content");
    let waiting = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx).is_pending()));
    assert!(waiting.await, "the guest has not returned yet");
    outcome.send(()).unwrap();
    assert!(frame(&mut body).await.is_none());
}

#[tokio::test]
async fn a_response_is_cut_when_its_guest_did_not_return() {
    let GuestResponse { mut body, outcome, .. } = GuestResponse::new();
    frame(&mut body).await.unwrap().unwrap();
    drop(outcome);
    assert!(matches!(frame(&mut body).await, Some(Err(Error::HttpResponseIncomplete))));
}

#[tokio::test]
async fn the_task_of_a_guest_learns_that_its_client_has_gone() {
    let GuestResponse { body, departed, .. } = GuestResponse::new();
    drop(body);
    assert!(departed.await.is_err());
}

#[tokio::test]
async fn more_than_was_announced_is_cut() {
    let GuestResponse { mut body, outcome, .. } = GuestResponse::announcing(Some(7));
    outcome.send(()).unwrap();
    assert!(frame(&mut body).await.unwrap().is_ok() && frame(&mut body).await.is_none());
    let GuestResponse { mut body, outcome, .. } = GuestResponse::announcing(Some(6));
    outcome.send(()).unwrap();
    assert!(matches!(frame(&mut body).await, Some(Err(Error::HttpResponseBodySize(_)))));
}
