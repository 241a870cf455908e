"""Motor's own `with_transaction` against PyMongo's."""

from tocdemo.experiments import retries


def test_motor_neither_waits_nor_tries_a_commit_again_and_pymongo_does_both():
    table = retries.measure()
    motor, pymongo = table.rows
    assert motor.committed == dict.fromkeys(retries.LABELS, False)
    assert pymongo.committed == dict.fromkeys(retries.LABELS, True)
    assert motor.attempts > 3 * pymongo.attempts > 3
    assert str(table).count("the caller gets the error") == 2
