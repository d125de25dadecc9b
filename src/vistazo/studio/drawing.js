// Paper to draw on with mouse, finger or pen. Keeps strokes, not pixels: Python renders them as the model needs them.
// A stroke is [[x ...], [y ...]] on paper 256 units wide.
const UNITS = 256;
const NEAR = 1.5; // units between two points that are kept

export default {
  template: `<canvas ref="paper" class="vz-paper" role="img" :aria-label="words"
    @pointerdown.prevent="begin" @pointermove.prevent="go" @pointerup.prevent="end" @pointercancel="end"></canvas>`,
  props: { words: String, pen: String, ground: String, thickness: Number },
  mounted() {
    this.strokes = [];
    this.current = null;
    this.watcher = new ResizeObserver(() => this.paint());
    this.watcher.observe(this.$refs.paper);
  },
  beforeUnmount() {
    this.watcher.disconnect();
  },
  updated() {
    this.paint();
  },
  methods: {
    place(event) {
      const box = this.$refs.paper.getBoundingClientRect();
      const share = (at, from, size) => Math.min(UNITS, Math.max(0, ((at - from) * UNITS) / size));
      return [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)];
    },
    begin(event) {
      if (this.current || event.button > 0) return; // a second finger draws nothing
      this.$refs.paper.setPointerCapture(event.pointerId);
      const [x, y] = this.place(event);
      this.current = { pointer: event.pointerId, stroke: [[x], [y]] };
      this.strokes.push(this.current.stroke);
      this.paint();
    },
    go(event) {
      if (!this.current || event.pointerId !== this.current.pointer) return;
      const [xs, ys] = this.current.stroke;
      const every = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      for (const one of every.length ? every : [event]) {
        const [x, y] = this.place(one);
        if (Math.hypot(x - xs[xs.length - 1], y - ys[ys.length - 1]) < NEAR) continue;
        xs.push(x);
        ys.push(y);
      }
      this.paint();
    },
    end(event) {
      if (!this.current || event.pointerId !== this.current.pointer) return;
      this.current = null;
      this.tell();
    },
    undo() {
      this.strokes.pop();
      this.paint();
      this.tell();
    },
    clear() {
      this.strokes = [];
      this.current = null;
      this.paint();
      this.tell();
    },
    tell() {
      const rounded = (axis) => axis.map((one) => Math.round(one * 10) / 10);
      this.$emit("drawn", { strokes: this.strokes.map((stroke) => stroke.map(rounded)) });
    },
    paint() {
      const paper = this.$refs.paper;
      if (!paper || !this.strokes) return;
      const side = Math.round(paper.clientWidth * (window.devicePixelRatio || 1));
      if (!side) return;
      if (paper.width !== side) paper.width = paper.height = side;
      const brush = paper.getContext("2d");
      brush.setTransform(side / UNITS, 0, 0, side / UNITS, 0, 0);
      brush.fillStyle = this.ground;
      brush.fillRect(0, 0, UNITS, UNITS);
      brush.strokeStyle = this.pen;
      brush.lineWidth = this.thickness;
      brush.lineCap = brush.lineJoin = "round";
      for (const [xs, ys] of this.strokes) {
        brush.beginPath();
        brush.moveTo(xs[0], ys[0]);
        if (xs.length === 1) brush.lineTo(xs[0] + 0.01, ys[0]);
        for (let at = 1; at < xs.length; at++) brush.lineTo(xs[at], ys[at]);
        brush.stroke();
      }
    },
  },
};
