// The webcam: asked for by a click and let go of as soon as nobody looks at it. A frame leaves the browser only when it
// is taken, as one JPEG to Vistazo; the next one of a series waits for the answer to the last.
const MOST = 480; // pixels of a frame's longer side
const PAUSE = 350; // milliseconds between two frames of a series

export default {
  template: `<video ref="video" class="vz-video" muted playsinline :aria-label="words"></video>`,
  props: { words: String },
  mounted() {
    this.stream = null;
    this.series = false;
    this.left = () => document.hidden && this.stop("left");
    document.addEventListener("visibilitychange", this.left);
    window.addEventListener("pagehide", this.stop);
    // A tab of the page that is changed hides the video, whether it is taken away or not.
    this.watcher = setInterval(() => this.stream && !this.$refs.video?.offsetParent && this.stop("left"), 500);
  },
  deactivated() {
    this.stop("left");
  },
  beforeUnmount() {
    clearInterval(this.watcher);
    document.removeEventListener("visibilitychange", this.left);
    window.removeEventListener("pagehide", this.stop);
    this.stop("left");
  },
  methods: {
    async start() {
      if (this.stream) return;
      if (!navigator.mediaDevices?.getUserMedia) return this.$emit("refused", { reason: "insecure" });
      try {
        this.stream = await navigator.mediaDevices.getUserMedia({
          video: { width: { ideal: 640 }, height: { ideal: 480 } },
          audio: false,
        });
      } catch (error) {
        return this.$emit("refused", { reason: error.name });
      }
      this.stream.getVideoTracks()[0].addEventListener("ended", () => this.stop("ended"));
      this.$refs.video.srcObject = this.stream;
      await this.$refs.video.play();
      this.$emit("started", {});
    },
    stop(why) {
      this.series = false;
      if (!this.stream) return;
      this.stream.getTracks().forEach((track) => track.stop());
      this.stream = null;
      if (this.$refs.video) this.$refs.video.srcObject = null;
      this.$emit("stopped", { why: typeof why === "string" ? why : "asked" });
    },
    take() {
      const video = this.$refs.video;
      if (!this.stream || !video?.videoWidth) return false;
      const scale = Math.min(1, MOST / Math.max(video.videoWidth, video.videoHeight));
      const paper = document.createElement("canvas");
      paper.width = Math.round(video.videoWidth * scale);
      paper.height = Math.round(video.videoHeight * scale);
      paper.getContext("2d").drawImage(video, 0, 0, paper.width, paper.height);
      this.$emit("frame", { jpeg: paper.toDataURL("image/jpeg", 0.9), series: this.series });
      return true;
    },
    go_on(series) {
      this.series = series;
      if (series) this.take();
    },
    answered() {
      if (this.series) setTimeout(() => this.series && this.take(), PAUSE);
    },
  },
};
