"""The pipeline `csv_import`: reads book lists in CSV, exports and hand-made ones alike."""
