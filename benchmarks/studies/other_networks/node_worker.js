// Answers batches of faces with one npm package's network, on the WebAssembly backend of TensorFlow.js.
//
// node node_worker.js NETWORK FOLDER HEIGHT WIDTH, where FOLDER is the node_modules that holds the package.
// A request on standard input is a count n (uint32, little-endian) and n * HEIGHT * WIDTH bytes of gray
// pixels; the answer on standard output is n * 7 probabilities (float32). After loading it writes one line.

"use strict";

const fs = require("fs");
const path = require("path");

const [network, folder, height, width] = process.argv.slice(2);
const shape = [Number(height), Number(width), 1];
const pixels = shape[0] * shape[1];
const load = (name) => require(path.join(folder, name));

// As src/gear/emotion.ts of the package: bilinear to the network's size, gray to [-1, 1].
async function human(tf) {
  const models = path.join(folder, "@vladmandic", "human", "models");
  const { modelTopology, weightsManifest } = JSON.parse(fs.readFileSync(path.join(models, "emotion.json")));
  const weights = fs.readFileSync(path.join(models, "emotion.bin"));
  const weightData = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length);
  const weightSpecs = weightsManifest.flatMap((group) => group.weights);
  const model = await tf.loadGraphModel({ load: async () => ({ modelTopology, weightSpecs, weightData }) });
  const side = model.inputs[0].shape[2];
  return (faces) =>
    tf.tidy(() => {
      const gray = tf.image.resizeBilinear(faces.div(255), [side, side], false);
      return model.execute(gray.sub(0.5).mul(2)).dataSync();
    });
}

// The package's own network resizes and normalizes; it takes RGB.
async function faceApi(tf) {
  const faceapi = load("@vladmandic/face-api/dist/face-api.node-wasm.js");
  const net = faceapi.nets.faceExpressionNet;
  const model = path.join(folder, "@vladmandic", "face-api", "model", "face_expression_model");
  const weights = fs.readFileSync(`${model}.bin`);
  const manifest = JSON.parse(fs.readFileSync(`${model}-weights_manifest.json`));
  const data = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length);
  net.loadFromWeightMap(tf.io.decodeWeights(data, manifest.flatMap((group) => group.weights)));
  return (faces) => {
    const scope = tf.engine();
    scope.startScope();
    const colour = tf.unstack(tf.tile(faces, [1, 1, 1, 3]));
    return net.forward(colour).then((found) => {
      const answers = found.dataSync().slice();
      scope.endScope();
      return answers;
    });
  };
}

function read(bytes) {
  const buffer = Buffer.alloc(bytes);
  for (let done = 0; done < bytes; ) {
    const got = fs.readSync(0, buffer, done, bytes - done, null);
    if (got === 0) return null;
    done += got;
  }
  return buffer;
}

function write(buffer) {
  for (let done = 0; done < buffer.length; ) done += fs.writeSync(1, buffer, done);
}

async function main() {
  const tf = load("@tensorflow/tfjs");
  const wasm = load("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(path.join(folder, "@tensorflow", "tfjs-backend-wasm", "dist") + path.sep);
  await tf.setBackend("wasm");
  await tf.ready();
  const predict = await { human, "face-api": faceApi }[network](tf);
  const threads = wasm.getThreadsCount ? wasm.getThreadsCount() : 1;
  const version = load(`@vladmandic/${network}/package.json`).version;
  write(Buffer.from(`${JSON.stringify({ version, threads, tfjs: tf.version.tfjs })}\n`));
  for (let head = read(4); head !== null; head = read(4)) {
    const count = head.readUInt32LE(0);
    const faces = tf.tensor4d(new Float32Array(read(count * pixels)), [count, ...shape]);
    const answers = await predict(faces);
    faces.dispose();
    write(Buffer.from(answers.buffer, answers.byteOffset, answers.byteLength));
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
