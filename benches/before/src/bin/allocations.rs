//! Allocations a decision, and their bytes, of the engine as it was and as it is.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use keyward_before::{Step, before, cases, now};
use serde_json::json;

struct Counting;

static ASKED: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    for case in cases() {
        let (was, is) = (counted(&before(&case)), counted(&now(&case)));
        println!("{}", json!({"case": case.name, "before": was, "now": is}));
    }
}

/// Allocations and bytes of one decision that is not the first.
fn counted(step: &Step) -> [u64; 2] {
    step();
    let (asked, bytes) = (ASKED.load(Relaxed), BYTES.load(Relaxed));
    step();
    [ASKED.load(Relaxed) - asked, BYTES.load(Relaxed) - bytes]
}
