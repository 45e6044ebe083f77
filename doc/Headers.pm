# The declarations of a header and their doc comments, for doc/make-man: items,
# each with its kind, name, arguments, members, group and the paragraphs of its
# comment.  What has no comment, or lacks a word, is in @missing.
#
# SPDX-License-Identifier: MIT

package Headers;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(slurp header missing name_of @items @groups %title @missing
	@conventions);
our (@items, @groups, %title, @missing, @conventions);

sub missing { push @missing, "@_" }

sub slurp {
	my ($file) = @_;

	open my $in, '<:utf8', $file or die "make-man: $file: $!\n";
	local $/;
	return scalar <$in>;
}

# The text of a comment, without its stars.
sub comment {
	my ($text) = @_;

	$text =~ s/^[ \t]*\*[ ]?//mg;
	$text =~ s/\A[ \n]+|\s+\z//g;
	return $text;
}

# Of a doc comment: its brief, \param, \ingroup, and paragraphs.
sub doc {
	my ($text) = @_;
	my %doc = (params => {}, text => []);

	return {} if !defined $text;
	$doc{group} = $1 if $text =~ s/^\\ingroup\s+(\w+)\s*$//m;
	while ($text =~ s/^\\param\s+(\w+):?[ \t]*(.*?)(?=^\\|^\s*$|\z)//ms) {
		my ($name, $words) = ($1, $2);

		$words =~ s/\n\s*/\n/g;
		$doc{params}{$name} = $words;
	}
	my ($head, @rest) = grep { /\S/ } split /\n[ \t]*(?:\n[ \t]*)*\n/, $text;
	$head = '' if !defined $head;
	if ($head =~ s/^(?:(?:struct|enum|typedef)\s+)?(\w*)(?:\(\))?\s*- //) {
		$doc{name} = $1;
		($doc{brief}, $head) = split /(?<=\.)\s+/, $head, 2;
		$doc{brief} =~ s/\s+/ /g;
		$doc{brief} =~ s/( \[[^]]*\])?\.?\s*$//;
	}
	$doc{text} = [grep { defined && /\S/ } $head];
	for (@rest) {
		# code goes on behind an empty line
		if (/^\t/ && @{$doc{text}} && $doc{text}[-1] =~ /^\t/) {
			$doc{text}[-1] .= "\n\n$_";
		} else {
			push @{$doc{text}}, $_;
		}
	}
	return \%doc;
}

# The arguments of a function, at its commas.
sub arguments {
	my ($text) = @_;
	my ($depth, @args) = (0, '');

	for (split //, $text =~ s/\s+/ /gr) {
		$depth += /\(/ ? 1 : /\)/ ? -1 : 0;
		/,/ && !$depth ? push @args, '' : ($args[-1] .= $_);
	}
	return grep { $_ ne 'void' && length } map { s/^\s+|\s+$//gr } @args;
}

sub name_of {
	my ($declaration) = @_;

	return $1 if $declaration =~ /\(\s*\*\s*(\w+)\s*\)/;
	return $declaration =~ /(\w+)(?:\[\w*\])?$/ ? $1 : '';
}

# The members of a struct or the values of an enum, each with its words.
sub members {
	my ($of, $body, $end) = @_;
	my @members;

	$body =~ s{/\*(?!\*<).*?\*/}{}gs;
	$body =~ s/^#.*$//gm;
	my $one = $of =~ /^enum/ ? qr/[^,\/]*/ : qr/[^;]*/;
	while ($body =~ m{\G\s*($one)[;,]?\s*(?:/\*\*<(.*?)\*/)?}gcsx) {
		my ($what, $words) = ($1, comment($2 // ''));

		last if $what !~ /\S/;
		$what =~ s/\s+/ /g;
		$what =~ s/ $//;
		missing("$of: $what: not a word") if $words !~ /\w/;
		push @members, [$what, $words];
	}
	return \@members;
}

# One declaration, with its comment.
sub item {
	my ($text, $comment, $header, $group) = @_;
	my $doc = doc($comment);
	my %item = (%$doc, name => '', args => [], header => $header);

	$item{group} //= $group if $item{brief};

	$text =~ s/\bLWS_(?:VISIBLE|EXTERN|FORMAT\(\d\))//g;
	$text =~ s/^\s+|\s*;?\s*$//g;
	if ($text =~ /^#define (\w+)(?:\(([^)]*)\))?\s*(.*)/s) {
		@item{qw(kind name value)} =
			(defined $2 ? 'macro' : 'constant', $1, $3);
		$item{args} = [arguments($2 // '')];
	} elsif ($text =~ /^(struct|enum)\s*(\w*)\s*\{(.*)\}$/s) {
		@item{qw(kind name)} = ($1, $2);
		$item{members} = members("$1 $2", $3);
	} elsif ($text =~ /^struct\s+(\w+)$/) {
		@item{qw(kind name)} = ('opaque', $1);
	} elsif ($text =~ /^(typedef\s.*?)\(\*(\w+)\)\s*\((.*)\)$/s) {
		@item{qw(kind type name)} = ('typedef', $1, $2);
		$item{args} = [arguments($3)];
	} elsif ($text =~ /^(.*?)(\w+)\s*\((.*)\)$/s) {
		@item{qw(kind type name)} = ('function', $1, $2);
		$item{args} = [arguments($3)];
		$item{type} =~ s/\s+/ /g;
	} else {
		die "make-man: cannot read: $text\n";
	}
	$item{brief} //= '' if $item{kind} ne 'constant';
	$item{text} //= [];
	push @items, \%item;
	return if $item{kind} eq 'constant' && @{$doc->{text} // []};
	missing("$item{name}: no doc comment") if !defined $comment;
	missing("$item{name}: not a word of what it is")
		if defined $comment && !$item{brief};
	missing("$item{name}: its comment is of $doc->{name}")
		if defined $doc->{name} && $doc->{name} ne $item{name};
}

sub header {
	my ($file) = @_;
	my ($doc, $head, $group);
	# doc/base.h is what that header includes
	my $name = $file =~ m{([^/]*)\.h$} && $1 ne 'base' ? $1
		: 'lws-threadpool';

	for (slurp($file)) {
		until (/\G\s*\z/gc) {
			/\G\s+/gc;
			if (m{\G/\*\*(?![<*])(.*?)\*/}gcs) {
				my $text = comment($1);

				if ($text =~ /^\\defgroup (\w+) (.*)/) {
					my $here = $1;

					push @groups, $here if !$title{$here};
					$title{$here} = $2;
					$group = $here if $text =~ /\@\{/;
				} elsif ($text =~ /^\@\}/) {
					undef $group;
				} else {
					$doc = $text;
				}
			} elsif (m{\G/\*(.*?)\*/}gcs) {
				$head //= comment($1);
			} elsif (/\G#\s*define\s+(\w+)(\([^)]*\))?((?:[^\\\n]|\\.)*)/gcs) {
				my ($macro, $args, $to) = ($1, $2 // '', $3);

				next if $macro =~ /_$|_H$/;
				item("#define $macro$args$to", $doc, $name,
					$group);
				undef $doc;
			} elsif (/\G#(?:[^\\\n]|\\.)*|\Gextern\s+"C"\s*\{|\G\}/gcs) {
			} elsif (/\G((?:[^;{]|\{[^{}]*\})*;)/gcs) {
				item($1, $doc, $name, $group);
				undef $doc;
			} else {
				die "make-man: $file: cannot read on at byte ",
					pos, "\n";
			}
		}
	}
	@conventions = grep { /^"|^A struct/ } split /\n\s*\n/, $head // ''
		if !@conventions;
}

1;
