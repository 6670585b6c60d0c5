"""The peers by name; a part before "/" names all that share a runtime.

A worker measures imports, so this module imports nothing outside the standard library.
"""

from __future__ import annotations

from fer_bench.contenders.peers.peer import CHECKPOINT, Conversion, Peer

ORT_THREADING = "https://onnxruntime.ai/docs/performance/tune-performance/threading.html"
OPENVINO_HINTS = (
    "https://docs.openvino.ai/2025/openvino-workflow/running-inference/optimize-inference/"
    "high-level-performance-hints.html"
)
OPENVINO_THROUGHPUT = (
    "https://docs.openvino.ai/2025/openvino-workflow/running-inference/optimize-inference/"
    "optimizing-throughput.html"
)
TORCH_CHANNELS_LAST = "https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html"
TORCH_FREEZING = "https://github.com/pytorch/pytorch/pull/100652"
OPENCV_DNN = "https://docs.opencv.org/4.x/d6/d0f/group__dnn.html"
NCNN_TIPS = "https://ncnn.readthedocs.io/en/latest/developer-guide/ncnn-tips-and-tricks.zh.html"
LITERT_XNNPACK = (
    "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/delegates/xnnpack/README.md"
)
EXECUTORCH_XNNPACK = "https://docs.pytorch.org/executorch/1.0/backends/xnnpack/xnnpack-overview.html"

NCNN = Conversion("fer_bench.contenders.peers.ncnn:convert", "model.ncnn.bin", ("pnnx",))
LITERT = Conversion("fer_bench.contenders.peers.litert:convert", "model.tflite", ("litert_torch",))

PEERS = {
    "onnxruntime/1-thread": Peer(
        "fer_bench.contenders.peers.onnxruntime:load_single",
        "onnxruntime",
        ("numpy", "onnxruntime"),
        "for latency: one thread, so that no layer of a small network waits for another thread",
        ORT_THREADING,
    ),
    "onnxruntime/throughput": Peer(
        "fer_bench.contenders.peers.onnxruntime:load_concurrent",
        "onnxruntime",
        ("numpy", "onnxruntime"),
        "for throughput: one session of one thread, called by a thread a core with its part of the batch",
        ORT_THREADING,
    ),
    "openvino/latency": Peer(
        "fer_bench.contenders.peers.openvino:load_latency",
        "openvino",
        ("numpy", "openvino"),
        "PERFORMANCE_HINT LATENCY, compiled for the batch, inference precision left to OpenVINO",
        OPENVINO_HINTS,
        precision="default",
    ),
    "openvino/latency-f32": Peer(
        "fer_bench.contenders.peers.openvino:load_latency",
        "openvino",
        ("numpy", "openvino"),
        "PERFORMANCE_HINT LATENCY, compiled for the batch, INFERENCE_PRECISION_HINT f32",
        OPENVINO_HINTS,
    ),
    "openvino/throughput": Peer(
        "fer_bench.contenders.peers.openvino:load_throughput",
        "openvino",
        ("numpy", "openvino"),
        "PERFORMANCE_HINT THROUGHPUT, AsyncInferQueue over parts of the batch, inference precision left "
        "to OpenVINO",
        OPENVINO_THROUGHPUT,
        precision="default",
    ),
    "openvino/throughput-f32": Peer(
        "fer_bench.contenders.peers.openvino:load_throughput",
        "openvino",
        ("numpy", "openvino"),
        "PERFORMANCE_HINT THROUGHPUT, AsyncInferQueue over parts of the batch, INFERENCE_PRECISION_HINT f32",
        OPENVINO_THROUGHPUT,
    ),
    "pytorch/channels-last": Peer(
        "fer_bench.contenders.peers.pytorch:load_channels_last",
        "torch",
        ("torch", "fer_train.checkpoint", "fer_train.loop"),
        "eager, inference mode, channels-last memory",
        TORCH_CHANNELS_LAST,
        CHECKPOINT,
    ),
    "pytorch/compile": Peer(
        "fer_bench.contenders.peers.pytorch:load_compiled",
        "torch",
        ("torch", "fer_train.checkpoint", "fer_train.loop"),
        "torch.compile for each batch size, weights frozen, channels-last memory, inference mode",
        TORCH_FREEZING,
        CHECKPOINT,
    ),
    "opencv": Peer(
        "fer_bench.contenders.peers.opencv:load",
        "opencv-python",
        ("numpy", "cv2"),
        "cv2.dnn on its own CPU kernels, faces by blobFromImages, all cores",
        OPENCV_DNN,
        Conversion("fer_bench.contenders.peers.opencv:convert", "model.onnx", ("torch", "onnxscript")),
    ),
    "ncnn/latency": Peer(
        "fer_bench.contenders.peers.ncnn:load_latency",
        "ncnn pnnx",
        ("numpy", "ncnn"),
        "for latency: one face after another, all cores share each",
        NCNN_TIPS,
        NCNN,
    ),
    "ncnn/throughput": Peer(
        "fer_bench.contenders.peers.ncnn:load_throughput",
        "ncnn pnnx",
        ("numpy", "ncnn"),
        "for throughput: one network of one thread, called by a thread a core with its part of the faces",
        NCNN_TIPS,
        NCNN,
    ),
    "litert/1-thread": Peer(
        "fer_bench.contenders.peers.litert:load_single",
        "ai-edge-litert litert-torch",
        ("numpy", "ai_edge_litert.interpreter"),
        "for latency: XNNPACK delegate on one thread, a graph allocated for the batch",
        LITERT_XNNPACK,
        LITERT,
    ),
    "litert/all-threads": Peer(
        "fer_bench.contenders.peers.litert:load_all",
        "ai-edge-litert litert-torch",
        ("numpy", "ai_edge_litert.interpreter"),
        "for throughput: XNNPACK delegate on a thread a core, a graph allocated for the batch",
        LITERT_XNNPACK,
        LITERT,
    ),
    "executorch": Peer(
        "fer_bench.contenders.peers.executorch:load",
        "executorch",
        ("torch", "executorch.runtime"),
        "XNNPACK delegate on a thread a core, batches of up to 64",
        EXECUTORCH_XNNPACK,
        Conversion("fer_bench.contenders.peers.executorch:convert", "model.pte", ("executorch",)),
    ),
}
