// A place to drop files or to choose them: a native input, so that keyboard and screen reader need nothing more.
// Posts all files of one drop as one form; too many or too large ones are told before a byte is sent.
export default {
  template: `
    <label class="vz-drop" :class="{ 'vz-over': over }"
      @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent="dropped">
      <input ref="input" type="file" :multiple="multiple" :accept="accept" :aria-describedby="hint_id"
        :disabled="busy" @change="chosen">
      <strong>{{ words }}</strong>
      <span :id="hint_id" class="vz-soft">{{ busy ? busy_words : hint }}</span>
    </label>
  `,
  props: {
    url: String,
    words: String,
    hint: String,
    busy_words: String,
    accept: String,
    multiple: Boolean,
    most_files: Number,
    most_bytes: Number,
  },
  data() {
    return { over: false, busy: false, hint_id: `vz-hint-${Math.random().toString(36).slice(2)}` };
  },
  methods: {
    chosen() {
      this.send([...this.$refs.input.files]);
      this.$refs.input.value = ""; // or the same file could not be chosen twice
    },
    dropped(event) {
      this.over = false;
      this.send([...event.dataTransfer.files]);
    },
    async send(files) {
      if (!files.length || this.busy) return;
      if (!this.multiple) files = files.slice(0, 1);
      if (files.length > this.most_files) return this.$emit("refused", { reason: "many" });
      if (files.reduce((sum, file) => sum + file.size, 0) > this.most_bytes)
        return this.$emit("refused", { reason: "large" });
      const form = new FormData();
      files.forEach((file) => form.append("file", file, file.name));
      this.busy = true;
      try {
        const address = (this.url.startsWith("/") ? window.path_prefix || "" : "") + this.url;
        const answer = await fetch(address, { method: "POST", body: form });
        if (!answer.ok) this.$emit("refused", { reason: answer.status === 413 ? "large" : "lost" });
      } catch {
        this.$emit("refused", { reason: "lost" }); // a folder was dropped, or the studio has ended
      } finally {
        this.busy = false;
      }
    },
  },
};
