//! What is under `deploy/`: read by the tools of those who will use it, and run as it is written there.

mod image;
mod manifests;
mod running;
mod unit;
