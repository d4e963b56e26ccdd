#compdef reader

_reader_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _READER_COMPLETE=complete_zsh reader)
}

compdef _reader_completion reader
