//! The read model: what pollers publish and answer, and what pages and the API show; knows neither of the two.

mod query;
mod status;

pub use query::{
    Added, Chain, DEFAULT_PAGE, DeviceChain, MAX_PAGE, MAX_SEARCH_BYTES, Page, PairName, Post, Query,
    Removed, StageView, Target, Watch, WatchQuery, WatchQueryError, WatchStore, WatchStoreError, id_in_path,
    id_of_path,
};
pub use status::{
    API_SOURCE, AppStatus, LatestFailure, ListStatus, PushFailure, RecentStage, ReloadFailure, SourceStatus,
    Status,
};
