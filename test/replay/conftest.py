# SPDX-License-Identifier: Apache-2.0
import os
import sys

TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TEST, "lib"), os.path.join(TEST, "cluster")]
