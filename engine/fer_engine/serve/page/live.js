// The camera, watched: frame after frame goes to the server, each when the last answer is here.

import { Camera } from "./camera.js";
import { clearFaces, inWords, showFaces } from "./faces.js";
import { predict } from "./predict.js";
import { clearTimes, showFacts, showRate } from "./readout.js";
import { shape, showCamera, showFrame } from "./stage.js";
import { say, sayProgress } from "./status.js";

const PAUSE = 1000; // milliseconds until a frame is tried again after an error
const RATE_OVER = 16; // frames of which the rate is shown

export class Live {
  #camera;
  #session = 0; // counts starts and stops, so that a late answer knows that it is late
  #starting = false; // the browser is asking for the camera
  #onStart;
  #onStop;
  answer = null; // the last one

  /** Call `onStart` when the camera runs and `onStop` when it does no longer. */
  constructor(onStart, onStop) {
    this.#onStart = onStart;
    this.#onStop = onStop;
    this.#camera = new Camera(document.getElementById("video"), () => this.stop("The camera was disconnected."));
  }

  get running() {
    return this.#camera.running;
  }

  async start() {
    if (this.#starting) return;
    const mine = ++this.#session;
    this.#starting = true;
    say("Waiting for the camera …");
    try {
      await this.#camera.start();
    } catch (error) {
      if (mine === this.#session) this.stop(error.message);
      return;
    } finally {
      this.#starting = false;
    }
    if (mine !== this.#session) return this.#camera.stop();
    this.#onStart();
    clearFaces();
    shape(this.#camera.width, this.#camera.height);
    showCamera();
    await this.#watch(mine);
  }

  /** Stop the camera, if it runs or is about to, and say so or why. */
  stop(words = "The camera is off.") {
    if (!this.running && !this.#starting) return;
    this.#session += 1;
    this.#camera.stop();
    this.answer = null;
    showRate(null);
    say(words);
    this.#onStop();
  }

  /** Send frames until the camera is stopped. What is shown is the frame that was answered, under its boxes. */
  async #watch(mine) {
    let answered = [];
    while (mine === this.#session) {
      try {
        const picture = await this.#camera.frame();
        if (mine !== this.#session) return; // stopped while the frame was read: it must not leave
        const answer = await predict(picture);
        if (mine !== this.#session) return;
        const now = performance.now();
        answered = [...answered, now].slice(-RATE_OVER);
        this.answer = answer;
        showFrame(this.#camera.picture);
        showFaces(answer, true);
        showFacts({ ...answer, bytes: picture.size });
        showRate(answered.length > 1 ? (1000 * (answered.length - 1)) / (now - answered[0]) : 0);
        sayProgress(inWords(answer));
      } catch (error) {
        if (mine !== this.#session) return;
        this.answer = null;
        showCamera();
        clearFaces();
        clearTimes();
        showRate(0);
        answered = [];
        say(`${error.message} Trying again.`, error.detail);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }
}
