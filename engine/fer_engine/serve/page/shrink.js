// Makes a large photo smaller before it is sent: a phone's photo of 5 MB takes half a minute on a slow line.

const LIGHT = 1_000_000; // bytes: a file below is sent as it is
const SHORT_SIDE = 1536; // pixels of the shorter side that are kept; of a panorama, all of its length
const MOST_PIXELS = 16_000_000; // what every browser's canvas can hold
const QUALITY = 0.9;

/**
 * Return a lighter JPEG of a photo, `blob`, and whether it has fewer pixels, `smaller`.
 *
 * It is the file itself where that is light, or where this browser cannot read it.
 */
export async function shrink(file) {
  const asItIs = { blob: file, smaller: false };
  if (file.size <= LIGHT) return asItIs;
  const url = URL.createObjectURL(file);
  try {
    const image = Object.assign(new Image(), { src: url });
    await image.decode(); // upright: the browser turns it as the photo says
    const scale = scaleOf(image);
    const blob = await draw(image, scale);
    return blob && blob.size < file.size ? { blob, smaller: scale < 1 } : asItIs;
  } catch {
    return asItIs;
  } finally {
    URL.revokeObjectURL(url);
  }
}

function scaleOf({ naturalWidth: width, naturalHeight: height }) {
  return Math.min(1, SHORT_SIDE / Math.min(width, height), Math.sqrt(MOST_PIXELS / (width * height)));
}

function draw(image, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // what is behind a transparent picture
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}
