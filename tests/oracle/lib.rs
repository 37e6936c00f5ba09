//! Nothing: the payment twin's answers are read by `async-stripe`'s strict types in `shapes.rs`.
