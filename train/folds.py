"""Which fold a patient is in. By a hash of the subject, so that it does not depend on which records are at hand."""

from __future__ import annotations

import hashlib

from train.datasets.qtdb import MITDB_SUBJECTS

FOLDS = 5
VALIDATION_SHARE = 12  # one patient of so many chooses epochs
_SAME_MITDB_PATIENT = {"202": "201"}


def subject(dataset: str, record: str) -> str:
    """The patient behind a record; the same one for a QTDB excerpt and its MIT-BIH source."""
    if dataset == "qtdb" and record in MITDB_SUBJECTS:
        dataset, record = "mitdb", MITDB_SUBJECTS[record]
    if dataset == "mitdb":
        record = _SAME_MITDB_PATIENT.get(record, record)
    return f"{dataset}/{record}"


def fold_of(dataset: str, record: str) -> int:
    """0 to FOLDS - 1. `cinc2017` publishes no patients: there a record stands for one."""
    digest = hashlib.sha256(subject(dataset, record).encode()).digest()
    return int.from_bytes(digest[:4], "big") % FOLDS


def validates(dataset: str, record: str) -> bool:
    """Whether the patient is one of the twelfth that is not trained on and chooses the epoch that is kept."""
    digest = hashlib.sha256(subject(dataset, record).encode()).digest()
    return digest[4] % VALIDATION_SHARE == 0
