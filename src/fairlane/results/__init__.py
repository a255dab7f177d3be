"""What comes out of a study: frames, statistics, comparisons, figures, reports, files."""
