// A row of buttons of which one is chosen, as a radio group: one stop for Tab, arrow keys inside.

export class Choice {
  #group;
  #onChoose;
  chosen = -1;

  /** Make `group`, an element, hold the buttons; `onChoose(index)` is called when a person chooses one. */
  constructor(group, onChoose) {
    this.#group = group;
    this.#onChoose = onChoose;
    group.addEventListener("click", (event) => {
      const button = event.target.closest("[role=radio]");
      if (button) this.#take(this.buttons.indexOf(button));
    });
    group.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.step(step);
      this.buttons[this.chosen]?.focus();
    });
  }

  get buttons() {
    return [...this.#group.children];
  }

  /** Have `count` buttons; those that stay keep their focus. */
  resize(count) {
    while (this.#group.children.length > count) this.#group.lastElementChild.remove();
    while (this.#group.children.length < count) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "radio");
      this.#group.append(button);
    }
  }

  /** Mark a button as chosen, -1 for none. */
  mark(index) {
    this.chosen = index;
    this.buttons.forEach((button, at) => {
      button.setAttribute("aria-checked", at === index);
      button.tabIndex = at === Math.max(index, 0) ? 0 : -1;
    });
  }

  /** Choose the next button or the one before, around the ends. */
  step(by) {
    const count = this.#group.children.length;
    if (count) this.#take((this.chosen + by + count) % count);
  }

  #take(index) {
    this.mark(index);
    this.#onChoose(index);
  }
}
