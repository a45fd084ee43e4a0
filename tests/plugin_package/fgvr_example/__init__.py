"""A third-party package with plugins for fgvr: what the tests install, and an example of how little it takes."""
