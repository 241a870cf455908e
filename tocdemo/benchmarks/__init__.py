"""What is measured, against what: each module prints ratios, taken in one run."""
