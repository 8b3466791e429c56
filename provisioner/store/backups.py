"""The records of when backups are made, and what seals them."""

from __future__ import annotations

from provisioner.store.record import Record


class BackupPlan(Record, frozen=True, tag="backup_plan"):
    """When backups are made by themselves; one record, id `backups` (docs/staff/backup.md).

    `at`: the time of day in the practice. `keep`: how many of those stay. `folder`: where, "" for the state directory's
    own. `optional`: parts beside the usual ones.
    """

    daily: bool = False
    at: str = "02:30"
    keep: int = 14
    folder: str = ""
    optional: tuple[str, ...] = ()


class BackupSecret(Record, frozen=True, tag="backup_secret"):
    """The passphrase of backups that are made by themselves; id as of BackupPlan."""

    passphrase: str = ""
