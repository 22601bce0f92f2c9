"""The laws of methods, spaces, executors and stores, as tests: a subclass of three lines proves a new one."""
