"""The runtimes, one a file; `fer_engine.backend.find` imports them on demand."""
