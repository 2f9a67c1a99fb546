//! P1 by cases, and against simulated HSMs with crashes, absences and a second operator.

mod cases;
mod simulation;
