"""Run the study: `python -m studies.other_networks --data fer2013.csv --environment fer=ENV`."""

import sys

from studies.other_networks.study import main

sys.exit(main())
