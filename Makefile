# Two commands for a fresh machine with Python 3.10 to 3.13: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo install test quick coverage test-gpu lint docs bench bench-busy networks image clean

demo: $(VENV)/demo.done
	$(BIN)/fer-export --model mini_xception --fp16 --int8
	$(BIN)/fer-bench --batch 64

install: $(VENV)/demo.done

# Two processes at once: more of them would each export the models that they share. One thread of PyTorch's in
# each: those of both would wait for each other. The one that is done takes over tests of the other.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

# Under a minute on 2 free cores: without whole commands, whole networks, mutations and the browser.
quick: $(VENV)/dev.done
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m "not slow"

# Which lines and branches of the four packages the tests reach, also in the processes that they start.
coverage: $(VENV)/dev.done
	$(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered

# On a machine with an NVIDIA GPU: build plans, hold them against PyTorch and ONNX Runtime, measure them.
# Speed goes to reports/gpu-*.md. TensorRT for RTX comes with the tests' environment; for TensorRT itself:
#   .venv/bin/pip install 'fer-engine[tensorrt]'
test-gpu: $(VENV)/dev.done
	FER_REQUIRE_GPU=1 $(BIN)/pytest -m gpu tests/gpu

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

# The site of the documents, into site/: a link that leads nowhere, or a file fetched from elsewhere, ends the build.
docs: $(VENV)/docs.done
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The committed measurement, on a quiet machine: make bench DATA=fer2013.csv VOTES=fer2013new.csv
bench: $(VENV)/bench.done
	$(BIN)/fer-export --model mini_xception --fp16 --int8 --force
	$(BIN)/fer-bench --batch 1,64,1024 --seconds 0.25 --peers onnxruntime,openvino,opencv,ncnn,pytorch/channels-last --profile $(if $(DATA),--data $(DATA)) $(if $(VOTES),--votes $(VOTES)) --json docs/results/quiet.json --markdown docs/results.md --html reports/bench.html --png docs/results/figures

# Again, but beside a process that keeps one core busy.
bench-busy: $(VENV)/bench.done
	$(BIN)/fer-bench --batch 64,1024 --busy 1 --precision fp32 --cold-starts 1 --json docs/results/busy.json --markdown docs/results-busy.md

# The artifacts that ship, from the checkpoints that ship: make networks DATA=fer2013.csv
# Answers alone decide: which precision is fast is measured where "auto" asks for it.
networks: $(VENV)/demo.done
	for name in fer_nano fer_tiny mini_xception simple_cnn; do \
		$(BIN)/fer-export --model $$name --fp16 --int8 --min-speed 0 --data $(DATA) --output artifacts/shipped/$$name && \
		mkdir -p engine/fer_engine/networks/$$name && \
		cp artifacts/shipped/$$name/*.onnx artifacts/shipped/$$name/manifest.json engine/fer_engine/networks/$$name || exit 1; \
	done

image:
	docker build --target cpu --tag fer-engine:cpu .

clean:
	rm -rf $(VENV) artifacts reports site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Editable, so that a change in the source needs no new installation.
$(VENV)/demo.done: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[bench,cpu,openvino]'
	touch $@

$(VENV)/bench.done: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[bench,cpu,openvino,peers]'
	touch $@ $(VENV)/demo.done

$(VENV)/docs.done: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[docs]'
	touch $@

$(VENV)/dev.done: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[dev]'
	touch $@ $(VENV)/demo.done
