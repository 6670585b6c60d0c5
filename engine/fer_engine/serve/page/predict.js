// Sends an image to the server; throws an error with a readable sentence if that fails.

class PredictError extends Error {
  /** `passing`: whether the same image may succeed later. */
  constructor(message, passing) {
    super(message);
    this.passing = passing;
  }
}

/** Return the server's answer to an image and the milliseconds of the round trip; throws PredictError. */
export async function predict(image) {
  const start = performance.now();
  let response;
  try {
    response = await fetch("predict", {
      method: "POST",
      body: image,
      headers: { "Content-Type": image.type.startsWith("image/") ? image.type : "application/octet-stream" },
    });
  } catch {
    throw new PredictError("The server does not answer.", true);
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || !answer) {
    const words = answer?.error ?? `The server answered ${response.status} without saying why.`;
    throw new PredictError(words, response.status === 429 || response.status >= 500);
  }
  return { ...answer, roundTrip: performance.now() - start };
}
