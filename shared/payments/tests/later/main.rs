//! What comes after a first charge, against the twin over loopback HTTP: confirming again, saved cards, refunds that end late, disputes,
//! and all of it while anything may fail.

#![cfg(test)]

mod aftermath;
mod chaos;
mod confirming;
mod saved_cards;
mod scene;
