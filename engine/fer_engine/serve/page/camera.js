// The camera as a source of JPEG frames.

const WIDTH = 640; // wider frames find no more faces in front of a camera and take longer
const QUALITY = 0.85;

const REASONS = {
  NotAllowedError: "The browser may not use the camera. Allow it for this page, then try again.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is in use by another program.",
};

export class Camera {
  #video;
  #canvas = document.createElement("canvas");
  #onLost;

  /** Show the camera in `video`; `onLost` is called when it is taken away. */
  constructor(video, onLost) {
    this.#video = video;
    this.#onLost = onLost;
  }

  get running() {
    return this.#video.srcObject !== null;
  }

  get width() {
    return this.#canvas.width;
  }

  get height() {
    return this.#canvas.height;
  }

  /** The last frame that was read, a canvas. */
  get picture() {
    return this.#canvas;
  }

  /** Ask for the camera and start it; throws an Error that says why there is none. */
  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give the camera to secure pages only: open this one by https or on localhost.");
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: WIDTH }, facingMode: "user" },
        audio: false,
      });
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The camera did not start: ${error.message || error.name}.`);
    }
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.#onLost());
    // People expect a mirror of themselves, but not of what is behind a phone.
    this.#video.classList.toggle("mirrored", track.getSettings().facingMode !== "environment");
    this.#video.srcObject = stream;
    await this.#video.play();
    const scale = Math.min(1, WIDTH / this.#video.videoWidth);
    this.#canvas.width = Math.round(this.#video.videoWidth * scale);
    this.#canvas.height = Math.round(this.#video.videoHeight * scale);
  }

  stop() {
    this.#video.srcObject?.getTracks().forEach((track) => track.stop());
    this.#video.srcObject = null;
  }

  /** Wait for a frame that has not been seen and return it as the viewer sees it, a JPEG. */
  async frame() {
    const video = this.#video;
    await new Promise((resolve) =>
      video.requestVideoFrameCallback ? video.requestVideoFrameCallback(resolve) : requestAnimationFrame(resolve),
    );
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    const mirrored = video.classList.contains("mirrored");
    context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? width : 0, 0);
    context.drawImage(video, 0, 0, width, height);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", QUALITY));
  }
}
