"""The main job: what is asked, where, how fast and at what cost, and the runs it leaves."""
