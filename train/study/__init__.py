"""Does learning intervals help to classify? Cells that are data, run one by one, and the report that follows.

config says what is run, cells is the table, nets and data what a cell works with, pretraining and fitting what it does,
tasks what it is judged by, runner who runs it, statistics and report what it says. `docs/transfer-plan.md` was written
before the first cell was run.
"""
