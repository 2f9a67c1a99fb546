//! operator-controllers
