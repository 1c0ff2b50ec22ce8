//! Parts that arrive out of order.

use crate::support::parts::{BACKWARDS, LANES, MIXED, Parts, SIZES};
use crate::support::store;
use portico_test_servers::Server;

pub(crate) async fn in_any_order_nothing_remains_to_be_read_back(server: Server) {
    for order in [BACKWARDS, LANES, MIXED] {
        let store = store(&server).await;
        let parts = Parts::of(&SIZES);
        let keys = parts.put_all(&[&store], &order).await;
        store.caught_up().await;
        let caught_up = store.traffic().caught_up;
        let all: usize = SIZES.iter().sum();
        assert!(caught_up > 0 && caught_up < all as u64, "{order:?}: each byte once, some on the way");
        assert_eq!(parts.read_back(&store, &keys).await, 0, "{order:?}");
    }
}
