//! gRPC messages: requests in, answers out.

pub mod answer;
pub mod decode;
pub mod encode;
pub mod json;
pub mod parameters;
pub mod request;
mod shape;
pub mod view;
