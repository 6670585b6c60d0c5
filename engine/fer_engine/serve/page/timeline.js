// The time line of a video: how probable each expression is over time, and which frame is shown.

const [section, play, slider, text, names, canvas] = ["timeline", "play", "time", "time-text", "course-names", "course"].map(
  (id) => document.getElementById(id),
);

const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

export class Timeline {
  #video = null;
  #onChoose;
  #player = 0; // a timer, 0 while nothing plays

  /** `onChoose(index)` is called when a frame is to be shown. */
  constructor(onChoose) {
    this.#onChoose = onChoose;
    slider.addEventListener("input", () => this.#choose(Number(slider.value)));
    play.addEventListener("click", () => (this.#player ? this.#pause() : this.#play()));
    const seek = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const { x, width } = canvas.getBoundingClientRect();
      const index = Math.floor((((event.clientX - x) / width) * this.#video.duration) / this.#video.step);
      this.#choose(Math.max(0, Math.min(index, this.#video.frames.length - 1)));
    };
    canvas.addEventListener("pointerdown", seek);
    canvas.addEventListener("pointermove", seek);
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  /** Show the time line of a video; null hides it. */
  show(video) {
    if (video !== this.#video) this.#pause();
    this.#video = video;
    section.hidden = !video?.frames.length;
    if (section.hidden) return;
    const { frames, chosen } = video;
    slider.max = frames.length - 1;
    slider.value = chosen;
    text.textContent = `${clock(frames[chosen].time)} of ${clock(video.duration)}`;
    slider.setAttribute("aria-valuetext", `${clock(frames[chosen].time)}: ${video.frameInWords()}`);
    names.replaceChildren(
      ...frames[0].answer.labels.map((label) => Object.assign(document.createElement("li"), { textContent: label })),
    );
    this.#draw();
  }

  #choose(index) {
    this.#pause();
    this.#onChoose(index);
  }

  #play() {
    const { frames, chosen, step } = this.#video;
    play.textContent = "Pause";
    if (chosen === frames.length - 1) this.#onChoose(0);
    this.#player = setInterval(() => {
      const next = this.#video.chosen + 1;
      if (next < this.#video.frames.length) this.#onChoose(next);
      else this.#pause();
    }, 1000 * step);
  }

  #pause() {
    clearInterval(this.#player);
    this.#player = 0;
    play.textContent = "Play";
  }

  /** Draw a row for each expression: the fuller its colour, the more probable it is, on average over the faces. */
  #draw() {
    if (!this.#video?.frames.length) return;
    const { frames, duration, step, chosen } = this.#video;
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    const context = canvas.getContext("2d");
    const { labels } = frames[0].answer;
    const [width, height] = [(canvas.width * Math.min(step, duration)) / duration, canvas.height / labels.length];
    const { color, borderColor } = getComputedStyle(canvas);
    context.fillStyle = color;
    frames.forEach(({ answer }, at) => {
      labels.forEach((label, row) => {
        const shares = answer.faces.map(({ probabilities }) => probabilities[label]);
        context.globalAlpha = shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
        context.fillRect(at * width, row * height + 1, width, height - 2);
      });
    });
    context.globalAlpha = 1;
    context.strokeStyle = borderColor;
    context.lineWidth = 2 * devicePixelRatio;
    context.strokeRect(chosen * width, 0, width, canvas.height);
  }
}
