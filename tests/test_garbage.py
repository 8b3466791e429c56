"""Collections of garbage: what lives for good is no part of them."""

import gc

from provisioner.garbage import YOUNG, settle


def test_what_is_there_for_good_is_left_out_of_collections():
    before = gc.get_threshold()
    try:
        settle()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] == YOUNG
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
