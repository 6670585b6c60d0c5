// The slider for the finder's score: faces of which it is less sure are hidden. Without scores it stays away.

const row = document.getElementById("score");
const slider = document.getElementById("min-score");
const marks = document.getElementById("marks");
const count = document.getElementById("score-count");
const STEPS = 10; // of the slider's left end

/** The lowest score of a face that is shown; 0, for all, at the slider's left end. */
const lowest = () => (Number(slider.value) > Number(slider.min) ? Number(slider.value) : 0);

/** Whether a face is to be shown. */
export const passes = ({ score }) => score === undefined || score >= lowest();

/** Call a function whenever a person moves the slider. */
export const onScoreChange = (listener) => slider.addEventListener("input", listener);

/** Mark the scores of an answer's faces on the slider. */
export function showScores({ faces }) {
  const scores = faces.map(({ score }) => score).filter((score) => score !== undefined);
  if (!faces.length && row.hidden) return;
  row.hidden = faces.length > 0 && !scores.length;
  const all = !lowest();
  slider.min = Math.min(slider.min, ...scores.map((score) => Math.floor(score * STEPS) / STEPS)).toFixed(1);
  if (all) slider.value = slider.min;
  const shown = scores.filter((score) => score >= lowest()).length;
  const words = lowest() ? `${lowest().toFixed(2)}: ${shown} of ${scores.length} faces` : "all faces";
  slider.setAttribute("aria-valuetext", words);
  count.textContent = words;
  marks.replaceChildren(
    ...scores.map((score) => {
      const mark = document.createElement("i");
      mark.style.left = `${(100 * (score - slider.min)) / (1 - slider.min)}%`;
      mark.classList.toggle("hides", score < lowest());
      return mark;
    }),
  );
}
