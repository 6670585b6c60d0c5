// Sends an image to the server; throws an error in words for people if that fails.

const PATIENCE = 120_000; // milliseconds until an answer is given up: a large photo over a slow line takes a while

/** Why an image was not answered: `message` says what is wrong, `advice` what to do about it. */
export class PredictError extends Error {
  /** `passing`: whether the same image may succeed later; `detail`: the server's own words, if any. */
  constructor(message, advice, { passing = false, detail = "" } = {}) {
    super(message);
    this.advice = advice;
    this.passing = passing;
    this.detail = detail;
  }
}

function unreachable(error) {
  const passing = { passing: true };
  if (error.name === "TimeoutError") {
    return new PredictError("The answer takes too long.", "The connection may be slow: try again, or send a smaller picture.", passing);
  }
  if (!navigator.onLine) return new PredictError("This device is offline.", "Connect it, then try again.", passing);
  return new PredictError("The server does not answer.", "See that it is running and can be reached, then try again.", passing);
}

function refused(status, detail) {
  const passing = { passing: true, detail };
  if (status === 413) {
    return new PredictError("The picture is too large for the server.", "Save it smaller, or cut out a part of it.", { detail });
  }
  if (status === 429 || status === 503) return new PredictError("The server is busy.", "Try again in a moment.", passing);
  if (status >= 500) return new PredictError("Something went wrong on the server.", "Try again; if it stays, tell whoever runs it.", passing);
  return new PredictError("The server cannot read this as a picture.", "Save it as JPEG or PNG, then try that.", { detail });
}

/** Return the server's answer to an image and the milliseconds of the round trip; throws PredictError. */
export async function predict(image) {
  const start = performance.now();
  let response;
  let answer;
  try {
    response = await fetch("predict", {
      method: "POST",
      body: image,
      headers: { "Content-Type": image.type.startsWith("image/") ? image.type : "application/octet-stream" },
      signal: AbortSignal.timeout(PATIENCE),
    });
    answer = await response.text();
  } catch (error) {
    throw unreachable(error);
  }
  try {
    answer = JSON.parse(answer);
  } catch {
    throw refused(response.ok ? 502 : response.status, ""); // a page of a proxy on the way
  }
  if (!response.ok) throw refused(response.status, answer?.error ?? "");
  return { ...answer, roundTrip: performance.now() - start };
}
