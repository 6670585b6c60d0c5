"""The runtimes, one a file; `fer_engine.runtime.backend.find_backend` imports them on demand."""
