import numpy as np

from covos.masks import davis_palette
from covos.masks.object_ids import colour_ids


def test_the_first_colours_are_those_of_davis() -> None:
    expected = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)]
    assert [tuple(row) for row in davis_palette()[:7].tolist()] == expected
    assert davis_palette()[255].tolist() == [224, 224, 192]


def test_every_colour_is_bit_interleaved_and_there_once() -> None:
    for index, row in enumerate(davis_palette().tolist()):
        for channel in range(3):
            bits = [index >> (3 * place + channel) & 1 for place in range(3) if 3 * place + channel < 8]
            assert row[channel] == sum(bit << (7 - place) for place, bit in enumerate(bits))
    assert len(np.unique(davis_palette(), axis=0)) == 256


def test_the_palette_cannot_be_changed_by_accident() -> None:
    assert not davis_palette().flags.writeable


def test_both_spellings_of_the_colours_are_known() -> None:
    ids = colour_ids()
    assert ids[192 << 16] == ids[191 << 16] == 9
    assert sorted(set(ids.values())) == list(range(256))
