//! P2 by cases, and against simulated HSMs with crashes, lost replies and absences at random.

mod cases;
mod simulation;
