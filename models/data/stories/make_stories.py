#!/usr/bin/env python3
"""Writes simple children's stories from the plots and word lists beside it.

    make_stories.py --stories=50000 --seed=1 > stories.txt

Stories are separated by a line <|endoftext|>; none occurs twice. The same
arguments give the same bytes.
"""
import argparse
import sys

import plots_friends
import plots_home
import plots_outdoors
from teller import Story

PLOTS = plots_home.PLOTS + plots_outdoors.PLOTS + plots_friends.PLOTS
SEPARATOR = "<|endoftext|>"


def tell(seed):
    story = Story(seed)
    story.pick(PLOTS)(story)
    return story.text()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=50000,
                        help="how many (50000, about 50 MB)")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    if flags.stories < 1:
        parser.error("--stories must be at least 1")
    told = set()
    number = 0
    while len(told) < flags.stories:
        text = tell(f"{flags.seed}.{number}")
        number += 1
        if text in told:
            continue
        told.add(text)
        sys.stdout.write(f"{text}\n{SEPARATOR}\n")
        if len(told) % 5000 == 0:
            print(f"{len(told)} of {flags.stories} stories", file=sys.stderr)


if __name__ == "__main__":
    main()
