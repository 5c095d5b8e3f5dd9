"""Bulk rows for tests: transfers of one amount, and the seal that is true of them."""

from domain.sealing import TransfersSealed
from evidence.append import Bulk
from gpuaas_verify.merkle import leaf_hash, root_hash

TRANSFER = (
    b'{"row":%d,"salt":"%b","id":"%b","cause":1,"kind":"charge","account":"a","debit":"d",'
    b'"credit":"c","currency":"USD","amount_pico":%d,"resource":"r","meter":"m","price":null,'
    b'"period":"p","booked":"p","debit_seq":1,"debit_balance_pico":5,"credit_seq":1,'
    b'"credit_balance_pico":-5}'
)


def transfer(number: int, amount_pico: int = 5) -> bytes:
    """The stored bytes of one row."""
    return TRANSFER % (number, b"0" * 32, b"0" * 64, amount_pico)


def transfers(first_row: int, count: int) -> Bulk:
    """A run of rows of 5 pico each."""
    numbers = range(first_row, first_row + count)
    return Bulk("transfer", first_row, tuple([transfer(number) for number in numbers]))


def seal(bulk: Bulk, prev_seal: int | None = None, through: int = 1) -> TransfersSealed:
    """What binds `transfers(...)`."""
    root = root_hash([leaf_hash(row) for row in bulk.rows]).hex()
    count = len(bulk.rows)
    return TransfersSealed("transfer", bulk.first_row, count, root, prev_seal, through, 5 * count)
