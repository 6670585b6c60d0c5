"""How faces get through a backend: the base class and registry, sharding, threads, validation."""
