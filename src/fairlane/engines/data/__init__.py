"""``Model.fit``'s data arguments → batches, batch orders, and sources that are read."""
