"""The guard: warns when a model that was trained is compiled and trained again."""
